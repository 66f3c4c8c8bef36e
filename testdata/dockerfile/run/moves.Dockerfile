FROM localhost/busybox
COPY tree /tree
RUN test -e /etc/test-image && mv /tree/sub /moved && mv /tree/a.txt /tree/b.txt && mv /usr/share /usr/shared
RUN mv /moved /tree/sub && mv /tree /t2 && mv /t2 /tree && mv /usr/shared/doc /doc
RUN cp -r /tree /t3 && mv /t3/sub /t3/b.txt /tmp && ls -A /t3 > /left
