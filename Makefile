# Everything sets itself up: python3, make and git are enough, and nothing is installed outside .venv.
.DEFAULT_GOAL := help
SLIDE ?=
OUT ?= build/run
PORT ?=
MORULA_DATA ?= ../shared/data
DATA ?=
N ?= 7
SERVE ?= 1
WORDS ?=
IMAGES ?=
BASE ?=
morula := .venv/bin/morula
# A dozen processes import the same packages: where nothing may be kept of them, each compiles all of them anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo run serve test lint bench chaos oracles clusterers protos openapi migration web images image-test chart cluster-test locks docs

help: ## print these lines
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup: ## make .venv with the morula command and the page in it
	@scripts/setup onebox web

demo: setup ## make a slide, run it, label ten pages, open the page (SERVE=0: end instead)
	@.venv/bin/python -m morula.demo $(if $(filter 0,$(SERVE)),--no-serve)

run: setup ## run one slide: make run SLIDE=path [OUT=folder]
	@$(morula) run "$(SLIDE)" --out "$(OUT)"

serve: setup ## open the page on what is there: make serve [PORT=8610, else the next free one] [DATA=folder]
	@$(morula) serve $(if $(PORT),--port $(PORT)) $(if $(DATA),--data "$(DATA)")

test: ## all tests; what needs a package that is not there is skipped and says which
	@scripts/setup dev web
	@scripts/test

lint: ## all that is checked without running anything
	@scripts/setup dev web
	@scripts/lint

bench: setup ## times per stage and what they must hold
	@morula="$(morula)" MORULA_DATA="$(MORULA_DATA)" scripts/bench

chaos: ## break things in jobs on SQLite and a folder, then on PostgreSQL and S3: make chaos [N=7 jobs on each]
	@scripts/setup dev web
	@.venv/bin/python -m tests.chaos --count $(N)

oracles: ## write tests/oracles with Cellpose 3, in an environment of its own
	@scripts/setup
	@scripts/oracles

clusterers: ## bring other ways to cluster, in an environment of their own, for `morula bench quality --with`
	@scripts/setup
	@scripts/clusterers

protos: ## write protos/gen from the protos
	@scripts/setup dev
	@scripts/protos

openapi: ## write docs/openapi.json and the types of the page from the code
	@scripts/setup dev
	@scripts/openapi

migration: ## write the migration to the tables of the code: make migration WORDS='trace jobs'
	@scripts/setup dev
	@scripts/migration "$(WORDS)"

web: ## build the page
	@scripts/setup web

images: ## build images with docker, podman or buildah: make images [IMAGES="tiler gateway", else all] [BASE=image]
	@BASE="$(BASE)" scripts/images $(IMAGES)

image-test: ## build images that need no GPU and try each as a cluster runs it: make image-test [IMAGES=...] [BASE=image]
	@scripts/setup dev
	@BASE="$(BASE)" scripts/image-test $(IMAGES)

cluster-test: ## install the chart in the cluster of KUBECONFIG and break things: make cluster-test ADDRESS=of-this-machine TAG=of-the-images [IMAGES=localhost/morula]
	@scripts/setup dev
	@.venv/bin/python -m tests.cluster --address "$(ADDRESS)" --tag "$(TAG)" --images "$(or $(IMAGES),localhost/morula)"

chart: ## lint and render the Helm chart with every example, and hold it to the schemas of two Kubernetes
	@scripts/setup dev
	@scripts/chart

docs: ## build the site of docs/ into build/docs, without network; a broken link fails
	@scripts/setup
	@scripts/docs

locks: ## write locks/*.txt from pyproject.toml
	@scripts/setup
	@scripts/locks
