FROM localhost/busybox AS base
RUN test -e /etc/test-image && echo base > /of-base && mkdir /d && touch /d/a /d/b
FROM base AS middle
RUN cat /of-base > /seen && rm /d/a
FROM middle
RUN rm -r /d && cat /of-base > /d
