FROM none/such AS x
RUN false
FROM a
