# Thin: what each does is in ./run.
.DEFAULT_GOAL := help
.PHONY: help demo api worker test lint format compile ci

help:
	@./run help

demo api worker test lint format compile:
	@./run $@

ci:
	@.ci/run
