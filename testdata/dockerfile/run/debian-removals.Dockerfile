FROM localhost/debian
RUN test -e /etc/test-image && rm -rf /usr/share/zoneinfo /usr/lib/node_modules /var/lib/dpkg/info && mkdir /usr/share/zoneinfo && touch /usr/share/zoneinfo/only
RUN test -e /etc/test-image && find /usr -xdev -name '*.pyc' -delete && find /usr -xdev -depth -name __pycache__ -type d -exec rmdir {} +
RUN test -e /etc/test-image && rm -r /usr/share/zoneinfo /etc/cron.d* /etc/pam.d && mkdir -p /etc/pam.d && rm /usr/bin/python3
