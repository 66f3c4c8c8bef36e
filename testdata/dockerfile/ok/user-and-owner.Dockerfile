FROM public.ecr.aws/docker/library/node:22-alpine
RUN adduser --system --uid 1001 nextjs
COPY --chown=nextjs:nodejs a ./
COPY --chown=1001 public ./public
USER nextjs
WORKDIR /app/data/deep
COPY note.txt .
CMD ["node", "server.js"]
