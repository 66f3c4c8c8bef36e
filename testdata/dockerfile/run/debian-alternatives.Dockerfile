FROM localhost/debian
RUN printf '#!/bin/sh\necho mine\n' > /opt/ed && chmod +x /opt/ed && update-alternatives --install /usr/bin/editor editor /opt/ed 50
RUN test -e /etc/test-image && dpkg-divert --local --rename --add /usr/bin/arch && printf '#!/bin/sh\necho z\n' > /usr/bin/arch && chmod 755 /usr/bin/arch && arch > /said
RUN test -e /etc/test-image && ln -sf /usr/share/zoneinfo/Asia/Tokyo /etc/localtime && echo Asia/Tokyo > /etc/timezone && date -d @0 > /date
