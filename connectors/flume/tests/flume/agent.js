// Sends events by `avsc`, another implementation of Avro: agent.js PORT

const assert = require('assert');
const avro = require('avsc');
const net = require('net');

const service = avro.Service.forProtocol({
    protocol: 'AvroSourceProtocol',
    namespace: 'org.apache.flume.source.avro',
    types: [
        {type: 'enum', name: 'Status', symbols: ['OK', 'FAILED', 'UNKNOWN']},
        {type: 'record', name: 'AvroFlumeEvent', fields: [
            {name: 'headers', type: {type: 'map', values: 'string'}}, {name: 'body', type: 'bytes'},
        ]},
    ],
    messages: {
        append: {request: [{name: 'event', type: 'AvroFlumeEvent'}], response: 'Status'},
        appendBatch: {
            request: [{name: 'events', type: {type: 'array', items: 'AvroFlumeEvent'}}], response: 'Status',
        },
    },
});

const client = service.createClient();
client.createChannel(net.connect(process.argv[2], '127.0.0.1'));
const event = n => ({headers: {agent: 'node'}, body: Buffer.from(`node ${n}`)});
const call = (message, ...argument) => new Promise((resolve, reject) => {
    client[message](...argument, (error, status) => error ? reject(error) : resolve(status));
});

(async () => {
    assert.strictEqual(await call('append', event(0)), 'OK');
    assert.strictEqual(await call('appendBatch', []), 'OK');
    // All at once: the answers come in turn.
    const hundred = n => Array.from({length: 100}, (_, m) => event(1 + 100 * n + m));
    const batches = Array.from({length: 10}, (_, n) => hundred(n));
    const statuses = await Promise.all(batches.map(batch => call('appendBatch', batch)));
    assert(statuses.every(status => status === 'OK'));
    process.exit(0);
})().catch(error => {
    console.error(error);
    process.exit(1);
});
