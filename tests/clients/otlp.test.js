// OpenTelemetry's metrics SDK with its OTLP exporters over HTTP: protobuf and JSON.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { OTLPMetricExporter as JsonExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPMetricExporter as ProtoExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { Resource } from '@opentelemetry/resources';
import { AggregationTemporality, ExponentialHistogramAggregation, InstrumentType, MeterProvider, PeriodicExportingMetricReader, View } from '@opentelemetry/sdk-metrics';
import { start } from './lib.js';

let server;
before(async () => { server = await start(); });
after(() => server?.stop());

/** A provider that exports when it is told to. */
function provide(Exporter, service, options = {}) {
  const exporter = new Exporter({ url: new URL('api/v1/otlp/v1/metrics', server.url).href, ...options });
  return new MeterProvider({
    resource: new Resource({ 'service.name': service, 'service.instance.id': 'i1', 'host.name': 'h1' }),
    readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })],
    views: [new View({ aggregation: new ExponentialHistogramAggregation(), instrumentName: 'size', instrumentType: InstrumentType.HISTOGRAM })],
  });
}

for (const [kind, Exporter] of [['proto', ProtoExporter], ['http', JsonExporter]]) {
  test(`exporter-metrics-otlp-${kind}: all instruments`, async () => {
    const job = `shop-${kind}`;
    const provider = provide(Exporter, job, { compression: 'gzip' });
    const meter = provider.getMeter('test', '1.0');
    const orders = meter.createCounter('orders', { unit: '1', description: 'Orders taken.' });
    orders.add(7, { kind: 'book' });
    orders.add(0.5, { kind: 'é "x"' });
    meter.createUpDownCounter('open.carts').add(-2);
    meter.createObservableGauge('queue.depth').addCallback((o) => o.observe(3));
    meter.createObservableCounter('cpu.time', { unit: 's' }).addCallback((o) => o.observe(12.25));
    const duration = meter.createHistogram('request.duration', { unit: 's', advice: { explicitBucketBoundaries: [0.1, 1] } });
    [0.0625, 0.5, 5].forEach((v) => duration.record(v));
    const size = meter.createHistogram('size', { unit: 'By' });
    [1, 2, 4, 4, 0].forEach((v) => size.record(v));
    await provider.forceFlush();
    assert.deepEqual(await server.values(`orders_total{job="${job}",instance="i1"}`, 'kind'), { book: '7', 'é "x"': '0.5' });
    assert.deepEqual(await server.values(`{__name__=~"open_carts|queue_depth|cpu_time_seconds_total",job="${job}"}`),
      { open_carts: '-2', queue_depth: '3', cpu_time_seconds_total: '12.25' });
    assert.deepEqual(await server.values(`request_duration_seconds_bucket{job="${job}"}`, 'le'), { 0.1: '1', 1: '2', '+Inf': '3' });
    assert.deepEqual(await server.values(`{__name__=~"request_duration_seconds_(sum|count)",job="${job}"}`),
      { request_duration_seconds_count: '3', request_duration_seconds_sum: '5.5625' });
    const { result: [native] } = await server.data('query', { query: `size_bytes{job="${job}"}` });
    assert.equal(native.histogram[1].count, '5');
    assert.equal(native.histogram[1].sum, '11');
    assert.deepEqual(await server.values(`target_info{job="${job}"}`, 'host_name'), { h1: '1' });
    const metadata = await server.data('metadata', { metric: 'orders_total' });
    assert.deepEqual(metadata.orders_total.map((m) => [m.type, m.help]), [['counter', 'Orders taken.']]);

    orders.add(3, { kind: 'book' }); // cumulative: the next export holds the sum
    await provider.forceFlush();
    await server.arrived(`orders_total{job="${job}",kind="book"}`, 'job', { [job]: '10' });
    await provider.shutdown();
  });
}

test('delta temporality becomes a cumulative counter', async () => {
  const provider = provide(ProtoExporter, 'delta', { temporalityPreference: AggregationTemporality.DELTA });
  const orders = provider.getMeter('test').createCounter('jobs');
  for (const n of [5, 2, 1]) {
    orders.add(n);
    await provider.forceFlush();
  }
  assert.deepEqual((await server.samples('jobs_total{job="delta"}')).map(([, v]) => v), [5, 7, 8]);
  await provider.shutdown();
});
