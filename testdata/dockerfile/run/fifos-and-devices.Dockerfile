FROM localhost/busybox
RUN mkfifo /f /g && chmod 640 /f && chown app /f && (echo text > /g &) && cat /g > /read
RUN rm /g && mkfifo -m 1600 /h && mv /f /i
RUN echo lost > /dev/null; head -c 4 /dev/zero | od -An -tx1 > /zeros; test -c /dev/urandom && test -d /dev/shm && echo yes > /devices
