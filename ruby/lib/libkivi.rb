# frozen_string_literal: true

# By the gem's name: Bundler requires this.
require "kivi"
