FROM a AS parent
ONBUILD ARG V=1
ONBUILD COPY --from=tools /t$V /t
ONBUILD RUN <<EOF
echo $V
EOF
FROM b AS tools
RUN make tools
FROM parent AS child
RUN own
FROM child
