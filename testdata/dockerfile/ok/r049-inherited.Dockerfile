FROM a AS p
ARG A=1
FROM p AS q
RUN x
FROM a
RUN y
COPY --from=q /x /
