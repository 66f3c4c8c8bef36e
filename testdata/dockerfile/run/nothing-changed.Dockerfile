FROM localhost/busybox
RUN true
RUN touch /etc/passwd /bin && chmod 644 /etc/passwd && chown 0:0 /etc/group
RUN test -e /etc/test-image && cp -p /etc/group /tmp/g && cat /tmp/g > /etc/group && rm /tmp/g
RUN touch /tmp/x && rm /tmp/x && mkdir -p /new/deep && rmdir /new/deep /new
LABEL end=1
