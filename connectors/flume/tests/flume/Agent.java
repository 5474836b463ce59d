import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.*;
import java.util.concurrent.*;
import org.apache.avro.Protocol;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.ipc.CallFuture;
import org.apache.avro.ipc.NettyTransceiver;
import org.apache.avro.ipc.generic.GenericRequestor;
import org.apache.thrift.TApplicationException;
import org.apache.thrift.protocol.*;
import org.apache.thrift.transport.*;
import org.jboss.netty.channel.ChannelFactory;
import org.jboss.netty.channel.ChannelPipeline;
import org.jboss.netty.channel.socket.SocketChannel;
import org.jboss.netty.channel.socket.nio.NioClientSocketChannelFactory;
import org.jboss.netty.handler.codec.compression.ZlibDecoder;
import org.jboss.netty.handler.codec.compression.ZlibEncoder;

/**
 * Plays an agent of Flume: sends numbered events in batches, by the libraries that Flume uses, and each batch
 * again until it is told OK, as a channel does that keeps what is not acknowledged.
 *
 * Agent (avro | zlib | thrift) PORT NAME EVENTS BATCH
 */
public class Agent {
    /** As Flume's classes have it, with what Java adds to it. */
    static final String PROTOCOL = "{'protocol':'AvroSourceProtocol',"
        + "'namespace':'org.apache.flume.source.avro',"
        + "'doc':'* Licensed','types':["
        + "{'type':'enum','name':'Status','symbols':['OK','FAILED','UNKNOWN']},"
        + "{'type':'record','name':'AvroFlumeEvent','fields':[{'name':'headers','type':{'type':'map',"
        + "'values':{'type':'string','avro.java.string':'String'},'avro.java.string':'String'}},"
        + "{'name':'body','type':'bytes'}]}],"
        + "'messages':{'append':{'request':[{'name':'event','type':'AvroFlumeEvent'}],'response':'Status'},"
        + "'appendBatch':{'request':[{'name':'events','type':{'type':'array','items':'AvroFlumeEvent'}}],"
        + "'response':'Status'}}}";

    interface Client {
        /** Whether the server has said OK. */
        boolean send(List<Map.Entry<Map<String, String>, byte[]>> events) throws Exception;
        void close() throws Exception;
    }

    static final ThreadFactory DAEMONS = task -> {
        Thread thread = new Thread(task);
        thread.setDaemon(true);
        return thread;
    };

    static final ExecutorService THREADS = Executors.newCachedThreadPool(DAEMONS);
    static final long PATIENCE = 15;

    /** As Flume's, with `compression-type = deflate`. */
    static class Compressing extends NioClientSocketChannelFactory {
        Compressing() {
            super(Executors.newCachedThreadPool(DAEMONS), Executors.newCachedThreadPool(DAEMONS));
        }

        @Override
        public SocketChannel newChannel(ChannelPipeline pipeline) {
            pipeline.addFirst("deflater", new ZlibEncoder(6));
            pipeline.addFirst("inflater", new ZlibDecoder());
            return super.newChannel(pipeline);
        }
    }

    static class Avro implements Client {
        final Protocol protocol = Protocol.parse(PROTOCOL.replace('\'', '"'));
        final NettyTransceiver transceiver;
        final GenericRequestor requestor;

        Avro(int port, boolean compressed) throws Exception {
            // Its threads end with the connection.
            ChannelFactory factory = compressed ? new Compressing() : new NioClientSocketChannelFactory(
                Executors.newCachedThreadPool(DAEMONS), Executors.newCachedThreadPool(DAEMONS));
            transceiver = new NettyTransceiver(new InetSocketAddress("127.0.0.1", port), factory, 5000L);
            requestor = new GenericRequestor(protocol, transceiver);
        }

        public boolean send(List<Map.Entry<Map<String, String>, byte[]>> events) throws Exception {
            Schema schema = protocol.getType("org.apache.flume.source.avro.AvroFlumeEvent");
            List<GenericData.Record> records = new ArrayList<>();
            for (Map.Entry<Map<String, String>, byte[]> event : events) {
                GenericData.Record record = new GenericData.Record(schema);
                record.put("headers", event.getKey());
                record.put("body", ByteBuffer.wrap(event.getValue()));
                records.add(record);
            }
            boolean one = records.size() == 1;
            String message = one ? "append" : "appendBatch";
            Schema arguments = protocol.getMessages().get(message).getRequest();
            GenericData.Record call = new GenericData.Record(arguments);
            call.put(0, one ? records.get(0) : records);
            // As Flume does: a request that is made while its connection ends is never answered.
            CallFuture<Object> status = new CallFuture<>();
            Future<?> asked = THREADS.submit(() -> {
                requestor.request(message, call, status);
                return null;
            });
            asked.get(PATIENCE, TimeUnit.SECONDS);
            return status.get(PATIENCE, TimeUnit.SECONDS).toString().equals("OK");
        }

        public void close() throws Exception {
            THREADS.submit(() -> transceiver.close(false));
        }
    }

    static class Thrift implements Client {
        final TTransport transport;
        final TProtocol protocol;
        int sequence = 0;

        Thrift(int port) throws Exception {
            transport = new TFramedTransport(new TSocket("127.0.0.1", port, 30000));
            transport.open();
            protocol = new TCompactProtocol(transport);
        }

        void write(Map.Entry<Map<String, String>, byte[]> event) throws Exception {
            protocol.writeStructBegin(new TStruct("ThriftFlumeEvent"));
            protocol.writeFieldBegin(new TField("headers", TType.MAP, (short) 1));
            protocol.writeMapBegin(new TMap(TType.STRING, TType.STRING, event.getKey().size()));
            for (Map.Entry<String, String> header : event.getKey().entrySet()) {
                protocol.writeString(header.getKey());
                protocol.writeString(header.getValue());
            }
            protocol.writeMapEnd();
            protocol.writeFieldEnd();
            protocol.writeFieldBegin(new TField("body", TType.STRING, (short) 2));
            protocol.writeBinary(ByteBuffer.wrap(event.getValue()));
            protocol.writeFieldEnd();
            protocol.writeFieldStop();
            protocol.writeStructEnd();
        }

        public boolean send(List<Map.Entry<Map<String, String>, byte[]>> events) throws Exception {
            boolean one = events.size() == 1;
            String method = one ? "append" : "appendBatch";
            protocol.writeMessageBegin(new TMessage(method, TMessageType.CALL, ++sequence));
            protocol.writeStructBegin(new TStruct("args"));
            protocol.writeFieldBegin(new TField("events", one ? TType.STRUCT : TType.LIST, (short) 1));
            if (one) {
                write(events.get(0));
            } else {
                protocol.writeListBegin(new TList(TType.STRUCT, events.size()));
                for (Map.Entry<Map<String, String>, byte[]> event : events) {
                    write(event);
                }
                protocol.writeListEnd();
            }
            protocol.writeFieldEnd();
            protocol.writeFieldStop();
            protocol.writeStructEnd();
            protocol.writeMessageEnd();
            transport.flush();
            TMessage answer = protocol.readMessageBegin();
            if (answer.type == TMessageType.EXCEPTION) {
                throw TApplicationException.read(protocol);
            }
            if (answer.seqid != sequence) {
                throw new IllegalStateException("answer " + answer.seqid + " to " + sequence);
            }
            protocol.readStructBegin();
            int status = -1;
            while (protocol.readFieldBegin().type != TType.STOP) {
                status = protocol.readI32();
            }
            protocol.readMessageEnd();
            return status == 0;
        }

        public void close() {
            transport.close();
        }
    }

    public static void main(String[] arguments) throws Exception {
        String kind = arguments[0];
        int port = Integer.parseInt(arguments[1]);
        String name = arguments[2];
        int events = Integer.parseInt(arguments[3]);
        int size = Integer.parseInt(arguments[4]);
        Client client = null;
        for (int from = 0; from < events; from += size) {
            List<Map.Entry<Map<String, String>, byte[]>> batch = new ArrayList<>();
            for (int n = from; n < Math.min(events, from + size); n++) {
                Map<String, String> headers = new HashMap<>();
                headers.put("agent", name);
                headers.put("timestamp", Integer.toString(n));
                batch.add(Map.entry(headers, (name + " " + n).getBytes("UTF-8")));
            }
            boolean sent = false;
            for (boolean stored = false; !stored; ) {
                try {
                    if (client == null) {
                        boolean zlib = kind.equals("zlib");
                        client = kind.equals("thrift") ? new Thrift(port) : new Avro(port, zlib);
                    }
                    if (sent) {
                        System.out.println("again " + from + " " + batch.size());
                    }
                    sent = true;
                    stored = client.send(batch);
                } catch (Exception error) {
                    System.err.println(error);
                    if (client != null) {
                        try {
                            client.close();
                        } catch (Exception closed) {
                            System.err.println(closed);
                        }
                    }
                    client = null;
                    Thread.sleep(20);
                }
            }
        }
        System.out.println("stored " + events);
        System.exit(0);
    }
}
