FROM localhost/debian
RUN test -e /etc/test-image && rm /usr/bin/bash /usr/bin/python3 && echo gone > /gone
RUN test -e /etc/test-image && chmod 700 / && rm /usr/bin/sh /usr/bin/dash
