FROM localhost/debian
RUN touch /f && python3 -c 'import os; os.setxattr("/f", "user.note", b"text")' && cp /f /g
