FROM localhost/busybox
RUN test -e /etc/test-image && mkdir -p /d/1/2/3/4/5 && echo 5 > /d/1/2/3/4/5/f && echo 3 > /d/1/2/3/f
RUN rm -r /d/1/2/3/4 && echo new > /d/1/2/g && chmod 700 /d/1
RUN mkdir -p /d/1/2/3/4/5/6 && rm /d/1/2/3/f && chown 3:4 /d/1/2/3
RUN rm -r /d/1/2 && mkdir -p /d/1/2/3 && touch /d/1/2/3/last
