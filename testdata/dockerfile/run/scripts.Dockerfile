FROM localhost/busybox
COPY build.sh settings.sh /src/
WORKDIR /src
RUN ./build.sh one "two words"
RUN . ./settings.sh && echo "$SETTING" > setting && rm settings.sh
