# frozen_string_literal: true

# Of the folder that ruby/package makes: there stand the C sources as well.
header = %w[vendor/libkivi/include/kivi/base.h ../libkivi/include/kivi/base.h]
         .map { |path| File.expand_path(path, __dir__) }.find { |path| File.file?(path) }

Gem::Specification.new do |gem|
  gem.name = "libkivi"
  gem.version = %w[MAJOR MINOR PATCH].map { |part| File.read(header)[/#define KIVI_VERSION_#{part} (\d+)/, 1] }.join(".")
  gem.summary = "A Hash in any store: LMDB, memory, Redis, one API for all"
  gem.description = "Typed values under keys, in an embedded file, in memory or on a server, with one exact contract: conditions, " \
                    "counters, expiry, scans, atomic batches. Data is shared with Python, Lua, C and the command line."
  gem.authors = ["the libkivi authors"]
  gem.license = "MIT"
  gem.required_ruby_version = ">= 3.1"
  gem.files = Dir.chdir(__dir__) { Dir["{lib,sig,ext,vendor,examples}/**/*", "README.md", "LICENSE"].select { |path| File.file?(path) } }
  gem.extensions = ["ext/kivi/extconf.rb"]
  gem.metadata = { "rubygems_mfa_required" => "true" }
end
