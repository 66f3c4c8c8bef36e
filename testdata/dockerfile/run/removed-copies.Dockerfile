FROM localhost/busybox
COPY tree /tree
COPY a.txt /b/
RUN rm /tree/a.txt && rm -r /tree/sub /b
COPY a.txt /tree/
COPY tree/sub /tree/sub
RUN rm -rf /tree/* /tree/.[!.]*
COPY a.txt /tree/sub/x
RUN test -e /etc/test-image && rm -r /tree /usr/share/doc
COPY a.txt /usr/share/doc/again
