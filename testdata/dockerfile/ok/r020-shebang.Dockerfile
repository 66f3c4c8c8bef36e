FROM a
RUN <<E
#!/usr/bin/env python3
print(1)
E
