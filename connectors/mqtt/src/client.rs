//! A connection to the broker: a task reads messages, a thread stores and acknowledges them.

use std::{error::Error as StdError, io::ErrorKind, pin::pin, time::Duration};

use dstream_core::{Bytes, receiver::ReceiverContext};
use rumqttc::{
    AsyncClient, ConnAck, ConnectReturnCode, ConnectionError, Event, EventLoop, MqttOptions, Outgoing,
    Packet, Publish, QoS, StateError, SubscribeFilter, SubscribeReasonCode, mqttbytes::Error as FormatError,
};
use tokio::{runtime, sync::mpsc, task, time};

use crate::{
    block::{Messages, MqttBlock},
    message::{AGAIN, MqttMessage, RETAINED},
    settings::Mqtt,
};

type Fault = Box<dyn StdError + Send + Sync>;

/// Messages that have arrived and wait for those before them to be stored.
const MAX_WAITING: usize = 1000;
/// What is stored together, in messages and about in bytes.
const MAX_BLOCK: usize = 10_000;
const MAX_BLOCK_BYTES: usize = 1 << 20;
/// Acknowledgements that may wait to be sent: as many as there are numbers of messages in flight, so that
/// there is always room for one.
const MAX_ACKS: usize = (1 << 16) + 10;
/// How long a stop waits until acknowledgements are sent.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// One connection, from its beginning to its end: that it ends before the context stops is a fault.
///
/// Each has a client of its own. One that goes on over connections would send acknowledgements of an earlier
/// connection by a later one, in which their numbers may be those of other messages.
pub(crate) fn receive(
    mqtt: &Mqtt,
    ctx: &ReceiverContext<MqttBlock>,
    subscribed: &mut bool,
) -> Result<(), Fault> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(connection(mqtt, ctx, subscribed));
    runtime.shutdown_timeout(STOP_PATIENCE);
    result
}

async fn connection(
    mqtt: &Mqtt,
    ctx: &ReceiverContext<MqttBlock>,
    subscribed: &mut bool,
) -> Result<(), Fault> {
    let (client, mut connection) = AsyncClient::new(options(mqtt), MAX_ACKS);
    let (waiting, messages) = mpsc::channel(MAX_WAITING);
    let mut storing = task::spawn_blocking({
        let (client, ctx) = (client.clone(), ctx.clone());
        move || store(messages, &client, &ctx)
    });
    let mut stopped = pin!(ctx.stopping().cancelled());
    loop {
        let event = tokio::select! {
            // A stop comes first: what it ends is no fault.
            biased;
            () = &mut stopped => break,
            // It ends before the connection if the log can't be written any more.
            stored = &mut storing => return stored?,
            event = connection.poll() => event.map_err(|error| explain(mqtt, error))?,
        };
        match event {
            Event::Incoming(Packet::ConnAck(answer)) => connected(mqtt, ctx, &client, answer, *subscribed)?,
            Event::Incoming(Packet::SubAck(answer)) => {
                let mut topics = mqtt.topics.iter().zip(answer.return_codes);
                if let Some((topic, _)) = topics.find(|(_, code)| *code == SubscribeReasonCode::Failure) {
                    let id = &mqtt.client_id;
                    return Err(format!(
                        "the broker refuses the topic `{topic}`: `{id}` may not read it, or the broker has \
                         no such topics"
                    )
                    .into());
                }
                *subscribed = true;
            }
            // While there is no room, nothing is read, and the broker keeps what comes. An error says that
            // the other end has gone, which is seen above.
            Event::Incoming(Packet::Publish(message)) => drop(waiting.send(message).await),
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
    }
    drop(waiting);
    let _ = storing.await;
    // What is stored is acknowledged yet, if the broker still listens: it comes again otherwise.
    let _ = time::timeout(STOP_PATIENCE, leave(&client, &mut connection)).await;
    Ok(())
}

fn options(mqtt: &Mqtt) -> MqttOptions {
    let port = *mqtt.port.as_ref().unwrap_or(&1883);
    let mut options = MqttOptions::new(&mqtt.client_id, &mqtt.host, port);
    options.set_clean_session(false).set_manual_acks(true).set_keep_alive(mqtt.keep_alive);
    // The head of a message has up to five bytes, its number two.
    options.set_max_packet_size(mqtt.max_message.saturating_add(9), 64 << 10);
    if let Some((user, password)) = &mqtt.credentials {
        options.set_credentials(user, password);
    }
    options
}

/// Subscribes, where the session does not have that already. For a program that has just started it may have
/// other topics.
fn connected(
    mqtt: &Mqtt,
    ctx: &ReceiverContext<MqttBlock>,
    client: &AsyncClient,
    answer: ConnAck,
    subscribed: bool,
) -> Result<(), Fault> {
    let (host, id) = (&mqtt.host, &mqtt.client_id);
    tracing::info!("`{id}` is connected to {host}, with a session: {}", answer.session_present);
    if subscribed && answer.session_present {
        return Ok(());
    }
    if subscribed {
        ctx.report_error(format_args!(
            "the broker has lost the session of `{id}`: messages that it had kept for this program are gone; \
             see that it writes sessions to its disk (in mosquitto `persistence true`)"
        ));
    }
    let filters = mqtt.topics.iter().map(|topic| SubscribeFilter::new(topic.clone(), QoS::AtLeastOnce));
    Ok(client.try_subscribe_many(filters)?)
}

/// Sends what is to be sent, and ends the connection.
async fn leave(client: &AsyncClient, connection: &mut EventLoop) {
    if client.try_disconnect().is_ok() {
        while let Ok(event) = connection.poll().await {
            if event == Event::Outgoing(Outgoing::Disconnect) {
                return;
            }
        }
    }
}

/// Stores messages, as many together as have arrived, and acknowledges those that are in the log.
fn store(
    mut messages: mpsc::Receiver<Publish>,
    client: &AsyncClient,
    ctx: &ReceiverContext<MqttBlock>,
) -> Result<(), Fault> {
    while let Some(first) = messages.blocking_recv() {
        let (mut block, mut taken) = (Messages::new(), Vec::new());
        let mut next = Some(first);
        while let Some(mut message) = next {
            let flag = |set: bool, flag: u8| if set { flag } else { 0 };
            let flags = flag(message.retain, RETAINED) | flag(message.dup, AGAIN);
            block.push(MqttMessage { topic: &message.topic, payload: &message.payload, flags });
            // Its number alone is needed.
            message.payload = Bytes::new();
            taken.push(message);
            let full = taken.len() >= MAX_BLOCK || block.bytes() >= MAX_BLOCK_BYTES;
            next = if full { None } else { messages.try_recv().ok() };
        }
        // What comes during a stop stays at the broker.
        if ctx.is_stopping() {
            return Ok(());
        }
        if !ctx.store_block(block.finish()) {
            return if ctx.is_stopping() {
                Ok(())
            } else {
                Err("messages can't be written to the log: they stay at the broker".into())
            };
        }
        for message in &taken {
            client.try_ack(message)?;
        }
    }
    Ok(())
}

/// What has ended a connection, and what to do about it.
fn explain(mqtt: &Mqtt, error: ConnectionError) -> String {
    let Mqtt { host, client_id, max_message, .. } = mqtt;
    match error {
        ConnectionError::Io(error)
            if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::TimedOut) =>
        {
            format!("the broker at {host} does not answer: {error}; is it running, and is the address right?")
        }
        ConnectionError::NetworkTimeout => {
            format!("the broker at {host} does not answer in time; is it one for MQTT without TLS?")
        }
        ConnectionError::ConnectionRefused(
            code @ (ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized),
        ) => format!("the broker at {host} refuses `{client_id}` ({code:?}): see `Mqtt::credentials`"),
        ConnectionError::ConnectionRefused(code) => {
            format!("the broker at {host} refuses `{client_id}`: {code:?}")
        }
        ConnectionError::MqttState(StateError::Deserialization(FormatError::PayloadSizeLimitExceeded(
            size,
        ))) => {
            format!(
                "a message has {size} bytes, and may have {max_message}: set `Mqtt::max_message_bytes`; the \
                 broker sends it again until it is taken"
            )
        }
        ConnectionError::MqttState(StateError::Deserialization(error))
            if !matches!(error, FormatError::Io(_)) =>
        {
            format!("what {host} sends is no MQTT: {error}; is the address right?")
        }
        other => format!(
            "the connection to {host} has ended: {other}; if that goes on, another program has the client id \
             `{client_id}`, too"
        ),
    }
}
