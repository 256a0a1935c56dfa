# frozen_string_literal: true

# Prints TAP lines.
class Tap
  RSpec::Core::Formatters.register self, :example_passed, :example_failed, :example_pending

  def initialize(output) = @output = output
  def example_passed(told) = @output.puts("ok - ruby: #{told.example.full_description}")
  def example_pending(told) = @output.puts("not ok - ruby: #{told.example.full_description} (not run)")

  def example_failed(told)
    @output.puts("not ok - ruby: #{told.example.full_description}")
    told.fully_formatted(1).each_line { |line| @output.puts("# #{line.chomp}") }
  end
end
