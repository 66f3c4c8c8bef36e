FROM localhost/debian
WORKDIR /app
COPY module.py /app/
RUN python3 -c 'import module; module.write("made.txt")' && rm -r __pycache__
RUN python3 - <<'END'
import os, socket
os.mkdir("d"); os.symlink("d", "l"); os.link("made.txt", "d/hard")
s = socket.socket(socket.AF_UNIX); s.bind("d/socket")
os.mkfifo("d/fifo", 0o640); os.chown("d", 11, 12); os.lchown("l", 13, 14)
os.chmod("d", 0o2750)
open(b"d/\xff\xfe", "w").write("bytes")
END
RUN printf '#!/usr/bin/python3\nprint("hi")\n' > run.py && chmod +x run.py && ./run.py > said
