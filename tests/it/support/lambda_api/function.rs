//! A function, and the change of it that is under way.

use serde_json::{Map, Value, json};

#[derive(Clone)]
pub struct Function {
    pub config: Value,
    pub image: String,
    /// What the change under way becomes: the looks until then, and the code of its failure.
    pub changing: Option<(usize, Option<&'static str>)>,
}

impl Function {
    /// A look at the function, by which the change under way goes on.
    pub fn look(&mut self) {
        let Some((looks, failure)) = self.changing else { return };
        if looks > 0 {
            self.changing = Some((looks - 1, failure));
            return;
        }
        self.changing = None;
        let is_new = self.config["State"] == "Pending";
        let config = self.config.as_object_mut().expect("an object");
        config.remove("StateReasonCode");
        match (is_new, failure) {
            (true, Some(code)) => {
                config.insert("State".to_owned(), json!("Failed"));
                config.insert("StateReasonCode".to_owned(), json!(code));
                config.insert("StateReason".to_owned(), json!("a reason of Lambda"));
            }
            (_, Some(code)) => {
                config.insert("LastUpdateStatus".to_owned(), json!("Failed"));
                config.insert("LastUpdateStatusReasonCode".to_owned(), json!(code));
                config.insert("LastUpdateStatusReason".to_owned(), json!("a reason of Lambda"));
            }
            (_, None) => {
                config.insert("State".to_owned(), json!("Active"));
                config.insert("LastUpdateStatus".to_owned(), json!("Successful"));
                config.remove("LastUpdateStatusReasonCode");
                config.remove("LastUpdateStatusReason");
            }
        }
    }
}

/// Settings in the form in which Lambda returns them.
pub fn kept(config: &mut Map<String, Value>) {
    if let Some(image) = config.remove("ImageConfig") {
        config.insert("ImageConfigResponse".to_owned(), json!({ "ImageConfig": image }));
    }
}
