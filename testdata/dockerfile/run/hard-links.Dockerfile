FROM localhost/busybox
RUN mkdir /l && echo 1 > /l/a && ln /l/a /l/b && ln /l/a /l/.c
RUN echo 2 >> /l/b
RUN ln /l/a /d && rm /l/a
RUN test -e /etc/test-image && ln /etc/passwd /etc/passwd- && ln -s a /l/link && ln /l/link /l/link2
