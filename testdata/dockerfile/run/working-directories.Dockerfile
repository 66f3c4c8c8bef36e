FROM localhost/busybox
WORKDIR /a/b
RUN pwd > here && cd / && pwd > there
RUN pwd > again; mkdir c
WORKDIR c
RUN pwd > here; cd .. && rm -r /a/b/c/here
WORKDIR /a
RUN mv b d
WORKDIR ../x
RUN pwd > here
