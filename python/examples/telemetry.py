"""What a store does as spans and metrics of OpenTelemetry, by its semantic conventions for databases.

    pip install opentelemetry-sdk
    python telemetry.py

on_event is told in the thread that called, when the call is over: so the span that is current there is the caller's.
"""
import time

import kivi


def watch(tracer, meter):
    """A function for on_event: a span for each call, below the caller's, and a histogram of durations."""
    durations = meter.create_histogram(
        "db.client.operation.duration", unit="s", description="Duration of database client operations."
    )
    repeats = meter.create_counter("kivi.repeats", description="Retries and reconnects.")

    def tell(event):
        about = {"db.system.name": event.scheme}
        if event.kind in ("retry", "reconnect"):
            repeats.add(1 if event.kind == "retry" else event.items, {**about, "kind": event.kind})
        if event.kind != "call":
            return
        about["db.operation.name"] = event.verb
        if event.error is not None:
            about["error.type"] = event.error.__name__
        durations.record(event.duration, about)
        if event.items > 1:
            about["db.operation.batch.size"] = event.items
        now = time.time_ns()
        span = tracer.start_span(
            f"{event.verb} {event.scheme}", attributes=about, start_time=now - int(event.duration * 1e9)
        )
        span.end(end_time=now)

    return tell


def main():
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(ConsoleMetricExporter())]))
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter()))
    tracer = trace.get_tracer("shop")
    with kivi.open("memory:", on_event=watch(tracer, metrics.get_meter("shop"))) as store:
        with tracer.start_as_current_span("checkout"):
            store.set_many({"cart:1": ["tea"], "cart:2": ["milk"]})
            store["cart:1"]
    metrics.get_meter_provider().shutdown()


if __name__ == "__main__":
    main()
