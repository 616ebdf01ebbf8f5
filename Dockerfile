# One orchestrator: docker build -t llmq . && docker run --env-file llmq.env llmq
# The embedded PostgreSQL stays outside: a container is given its database by DATABASE_URL.

# Debian, because the tests run on glibc.
FROM node:24-trixie-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
# Compilers come as optional packages for each platform. No script is needed, so none is run.
RUN npm ci --ignore-scripts
COPY . .
RUN npm run build

FROM node:24-trixie-slim AS dependencies
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --omit=dev --omit=optional

FROM node:24-trixie-slim
LABEL org.opencontainers.image.title="llmq" \
  org.opencontainers.image.description="A durable queue for LLM requests that lives in your Postgres" \
  org.opencontainers.image.licenses="MIT"
WORKDIR /app
COPY --from=dependencies /src/node_modules ./node_modules
COPY --from=build /src/dist ./dist
COPY package.json LICENSE ./
COPY bin ./bin
COPY migrations/committed ./migrations/committed
# 127.0.0.1 would be the container itself: nobody could ask for health or metrics.
ENV NODE_ENV=production LLMQ_HTTP_HOST=0.0.0.0
EXPOSE 8474
# The user `node` of the base image, as a number, so that Kubernetes can see that it is not root.
USER 1000:1000
# Alive, not ready: a container is not to be replaced because its database is away.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.LLMQ_HTTP_PORT || 8474) + '/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "/app/bin/llmq.js"]
CMD ["start"]
