# frozen_string_literal: true

require "spec_helper"
require "rbs"

RSpec.describe "sig/kivi.rbs" do
  loader = RBS::EnvironmentLoader.new
  loader.add(path: Pathname(File.expand_path("../sig", __dir__)))
  environment = RBS::Environment.from_loader(loader).resolve_type_names
  builder = RBS::DefinitionBuilder.new(env: environment)
  names = environment.class_decls.keys.select { |name| name.to_s.start_with?("::Kivi") }

  it "is whole" do
    names.each { |name| builder.build_instance(name) && builder.build_singleton(name) }
  end

  it "names what there is" do
    described = names.to_h { |name| [name.to_s.delete_prefix("::"), builder.build_instance(name)] }
    ["Kivi::Store", "Kivi::Page", "Kivi::Ext", "Kivi::Result", "Kivi::Copied", "Kivi::Error"].each do |name|
      kind = Object.const_get(name)
      hidden = %i[inspect to_s == eql? hash freeze marshal_dump initialize_copy deconstruct_keys message to_h]
      declared = described.fetch(name).methods.select { |_, method| method.defined_in.to_s == "::#{name}" }.keys
      expect(kind.public_instance_methods(false).sort - hidden).to eq(declared.sort - hidden - %i[initialize])
    end
    expect(Kivi.singleton_methods.sort).to eq(builder.build_singleton(names.find { |name| name.to_s == "::Kivi" }).methods
      .select { |_, method| method.defined_in.to_s == "::Kivi" }.keys.sort)
    expect(Kivi.constants.map { |name| "Kivi::#{name}" }.select { |name| Object.const_get(name).is_a?(Module) } - described.keys).to eq([])
  end
end
