FROM localhost/busybox
RUN test -e /etc/test-image && printf xyz | dd bs=1 seek=2 conv=notrunc of=/etc/passwd 2>/dev/null
RUN test -e /etc/test-image && : > /etc/group && printf x | dd of=/bin/tool bs=1 conv=notrunc 2>/dev/null && chmod u+s /bin/tool
RUN cat /bin/tool > /tool2 && cp /tool2 /bin/tool
