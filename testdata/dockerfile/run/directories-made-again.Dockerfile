FROM localhost/busybox
COPY tree /tree
RUN rm -rf /tree && mkdir /tree && echo new > /tree/new
RUN test -e /etc/test-image && rm -rf /usr/share && mkdir -p /usr/share/sub && touch /usr/share/sub/f
RUN rm -rf /tree && mkdir -m 700 /tree
RUN test -e /etc/test-image && rm -rf /usr/share && mkdir -p /usr/share/sub
