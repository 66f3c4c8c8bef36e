FROM localhost/busybox
COPY makefile.sh /src/
WORKDIR /src
RUN sh -e makefile.sh all && sh -e makefile.sh install /opt/app && sh -e makefile.sh clean
RUN /opt/app/bin/hello > /said && [ "$(cat /said)" = hello ]
