FROM localhost/busybox
RUN touch /top && mkdir /.hidden /opt2 && ln -s opt2 /opt3 && chmod 750 /opt2
RUN test -e /etc/test-image && chmod 711 /root && rmdir /mnt && mv /top /opt3/ && chmod 1755 /tmp && chown 1:2 /srv
RUN test -e /etc/test-image && rm -r /opt3 && rm -rf /home && ln -s /opt2 /home
