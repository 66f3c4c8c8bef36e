FROM localhost/busybox
COPY tree /tree
RUN test -e /etc/test-image && ln -s /tree /t && echo through > /t/new && ln -s nowhere /dangling && ln -s loop /loop
RUN ln -sfn /etc /t && cp /t/passwd /copied && mkdir -p /real/d && ln -s ../real/d /tree/up && touch /tree/up/f
RUN rm /dangling && ln -s /tree/a.txt /dangling && echo more >> /dangling && cp -a /tree /again
