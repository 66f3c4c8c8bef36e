FROM localhost/busybox
COPY tree /tree
RUN cp /bin/busybox /usr/bin/as-root && chmod 4755 /usr/bin/as-root && chmod g+s /tree/sub && chmod 1777 /tree
RUN mkdir /shut && touch /shut/f && chmod 000 /shut/f && chmod 111 /shut && chmod -R a-w,o= /tree/sub
RUN umask 077 && mkdir /private && touch /private/f && umask 0 && touch /open
