FROM localhost/debian
RUN cp /usr/bin/dd /opt/dd && python3 -c 'import os; os.setxattr("/opt/dd", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))'
RUN cp /opt/dd /opt/plain && mv /opt/dd /opt/able && python3 -c 'import os; print(os.getxattr("/opt/able", "security.capability").hex()[:16])' > /has
FROM localhost/debian
COPY --from=0 /opt /opt
