-- Run by the container of PostgreSQL when its data directory is made. llmq works without pgmq as well.
create extension pgmq;
