FROM --platform=linux/arm65/ a
