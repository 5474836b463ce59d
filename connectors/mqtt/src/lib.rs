//! Topics of an MQTT broker as a source of [dstream](https://docs.rs/dstream): see [`mqtt_stream`].

mod block;
mod client;
mod message;
mod settings;

pub use block::MqttBlock;
pub use message::{MqttMessage, MqttMessageOwned};
pub use settings::{Mqtt, MqttStream, mqtt_stream};
