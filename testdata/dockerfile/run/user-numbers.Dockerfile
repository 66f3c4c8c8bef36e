FROM localhost/busybox
RUN mkdir -m 777 /any
USER 1234:56
RUN touch /any/numbers && id -u > /any/id && echo "$HOME" > /any/home
USER 4321
RUN touch /any/number && id -g > /any/gid
USER 1000
RUN touch /any/known && id -g >> /any/gid; id -G > /any/groups
