# frozen_string_literal: true

require "spec_helper"

RSpec.describe "README.md" do
  blocks = File.read(File.expand_path("../README.md", __dir__)).scan(/^```ruby\n(.*?)^```/m).flatten
  raise "no code in README.md" if blocks.size < 4

  # `code # => answer` becomes a comparison.
  def checked(block)
    block.gsub(/^(\s*)(\S.*?)\s+# => (.+)$/) { "#{$1}expect_shown((#{$2}), #{$3.inspect})" }
  end

  blocks.each_with_index do |block, index|
    it "block #{index + 1} does what it says" do
      program = "def expect_shown(value, text) = value.inspect == text || abort(\"\#{value.inspect} instead of \#{text}\")\n#{checked(block)}"
      Dir.mktmpdir { |folder| Dir.chdir(folder) { expect(ruby(program)).to eq("") } }
    end
  end

  it "names every method" do
    named = File.read(File.expand_path("../README.md", __dir__))
    missing = Kivi::Store.public_instance_methods(false).grep(/\w/).reject { |name| named.include?(name.to_s) }
    expect(missing - %i[each_pair store length member? inspect to_s url scheme codec closed? marshal_dump freeze initialize_copy]).to eq([])
  end
end
