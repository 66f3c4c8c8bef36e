FROM localhost/busybox AS build
WORKDIR /out
RUN test -e /etc/test-image && mkdir -p bin lib && echo program > bin/program && chmod 750 bin/program && chown -R 12:34 lib && touch lib/a && ln lib/a lib/b && ln -s ../bin/program lib/p
FROM localhost/busybox AS other
COPY --from=build /out/lib /lib2
RUN rm /lib2/p && chown -R 5:6 /lib2 && echo other > /other
FROM localhost/busybox
COPY --from=build /out /app
COPY --from=other --chown=7:8 /lib2 /other /from-other/
RUN cat /from-other/other >> /app/bin/program
