# frozen_string_literal: true

require_relative "support"
require "kivi/session"
require "rack/mock"
require "rack/lint"

RSpec.describe Kivi::Session do
  Adapters::KINDS.each do |kind, url|
    context "on #{kind}" do
      around { |example| Kivi.open(url.call) { |store| (@store = store) && example.run } }

      # What a request does with its session, and the answer.
      def ask(cookie = nil, options = {}, **more, &work)
        app = lambda do |env|
          said = work.call(env["rack.session"], env)
          [200, { "Content-Type" => "text/plain" }, [said.inspect]]
        end
        session = described_class.new(app, store: @store, **more)
        Rack::MockRequest.new(Rack::Lint.new(session)).get("/", options.merge(cookie ? { "HTTP_COOKIE" => cookie } : {}))
      end

      def cookie_of(answer) = answer["Set-Cookie"]&.[](/rack\.session=\h+/)

      it "keeps what a request wrote" do
        first = ask(nil, expire_after: 1800) { |session| session["user"] = { "name" => "Ann", "tags" => [1, nil] } }
        cookie = cookie_of(first)
        expect(cookie).not_to be_nil
        expect(ask(cookie, expire_after: 1800) { |session| session["user"] }.body).to eq('{"name"=>"Ann", "tags"=>[1, nil]}')
        expect(@store.keys.size).to eq(1)
        expect(@store.ttl(@store.keys.first)).to be_between(1700, 1800)
        expect(@store.keys.first).not_to include(cookie.split("=").last) # who reads the store can take no session over
      end

      it "writes nothing for who has no session" do
        expect(cookie_of(ask { |session| session["none"] })).to be_nil
        expect(@store).to be_empty
      end

      it "gives a stranger's id to nobody" do
        answer = ask("rack.session=#{'f' * 64}") { |session| session["n"] = 1 }
        expect(cookie_of(answer)).to match(/=\h{64}/)
        expect(cookie_of(answer)).not_to end_with("f" * 64)
      end

      it "renews, drops and expires" do
        cookie = cookie_of(ask { |session| session["n"] = 1 })
        renewed = cookie_of(ask(cookie) { |session, env| env["rack.session.options"][:renew] = true and session["n"] += 1 })
        expect(renewed).not_to eq(cookie)
        expect(ask(cookie) { |session| session["n"] }.body).to eq("nil")
        expect(ask(renewed) { |session| session["n"] }.body).to eq("2")
        ask(renewed) { |_session, env| env["rack.session.options"][:drop] = true }
        expect(@store).to be_empty
        cookie = cookie_of(ask { |session| session["n"] = 1 })
        @store.clear # as if its time were over
        expect(ask(cookie) { |session| session["n"] }.body).to eq("nil")
      end

      it "does not bring back what was deleted meanwhile" do
        cookie = cookie_of(ask { |session| session["user"] = "Ann" })
        ask(cookie) do |session|
          session["late"] = 1
          ask(cookie) { |_other, env| env["rack.session.options"][:drop] = true }
        end
        expect(@store).to be_empty
      end

      it "says what it cannot store" do
        expect { ask { |session| session["o"] = Object.new } }.to raise_error(Kivi::Unrepresentable, /o: an instance of Object/)
      end
    end
  end

  it "opens a URL, and needs a store" do
    app = ->(env) { [200, {}, [env["rack.session"]["n"] = "1"]] }
    expect(Rack::MockRequest.new(described_class.new(app, store: "memory:")).get("/")["Set-Cookie"]).to include("rack.session=")
    expect { described_class.new(app) }.to raise_error(ArgumentError, /needs store:/)
  end
end
