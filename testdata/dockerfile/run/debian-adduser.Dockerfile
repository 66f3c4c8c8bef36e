FROM localhost/debian
ARG SOURCE_DATE_EPOCH=315532800
RUN adduser --quiet --system --group --home /var/lib/service service && addgroup --quiet --gid 3000 shared && adduser --quiet service shared
RUN mkdir /srv/x && chown service:shared /srv/x && chmod 2775 /srv/x
USER service
RUN touch /srv/x/by-service && id -Gn > /srv/x/groups
