FROM scratch
COPY bootstrap /var/runtime/
