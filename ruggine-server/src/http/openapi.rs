//! The API's description, made from the types that serve it.

use std::sync::LazyLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use ruggine_core::api::{
    Access, Done, Method, account, conversation, identity, key_package, member, message, position,
    presence, session, sync,
};
use ruggine_core::event::describe_events;
use ruggine_core::{ApiError, ErrorCode};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::error::{JSON, MSGPACK};
use super::operation::WRITE_COUNTER;

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| {
    serde_json::to_vec(&openapi_document())
        .unwrap_or_default()
        .into()
});

pub(super) async fn handle() -> Response {
    let media_type = HeaderValue::from_static(JSON);
    ([(header::CONTENT_TYPE, media_type)], DOCUMENT.clone()).into_response()
}

/// The OpenAPI 3.1 document of every operation, with the events of the
/// WebSocket under `x-events` and the error codes under `x-error-codes`.
#[must_use]
pub fn openapi_document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    macro_rules! describe {
        ($( #[doc = $doc:literal] $variant:ident $name:literal $request:path => $response:path, $access:ident, $effect:ident; )+) => {
            $( paths.insert(
                format!("/v1/{}", $name),
                operation(&mut generator, Method::$variant, $doc.trim(), |generator| {
                    (
                        generator.subschema_for::<$request>().to_value(),
                        generator.subschema_for::<$response>().to_value(),
                    )
                }),
            ); )+
        };
    }
    ruggine_core::for_each_operation!(describe);
    let error = generator.subschema_for::<ApiError>().to_value();
    let events: Map<String, Value> = describe_events(&mut generator)
        .into_iter()
        .map(|(name, schema)| (name.to_owned(), schema.to_value()))
        .collect();
    let codes: Map<String, Value> = ErrorCode::ALL
        .iter()
        .map(|code| (code.to_string(), code.number().into()))
        .collect();
    let mut schemas = generator.take_definitions(true);
    schemas.insert(
        "ErrorBody".to_owned(),
        json!({ "type": "object", "properties": { "error": error }, "required": ["error"] }),
    );
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ruggine",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "access": { "type": "http", "scheme": "bearer" } },
        },
        "x-events": events,
        "x-error-codes": codes,
    })
}

fn operation(
    generator: &mut SchemaGenerator,
    method: Method,
    summary: &str,
    schemas: impl FnOnce(&mut SchemaGenerator) -> (Value, Value),
) -> Value {
    let (request, response) = schemas(generator);
    let both =
        |schema: &Value| json!({ JSON: { "schema": schema }, MSGPACK: { "schema": schema } });
    let security = match method.access() {
        Access::Public => json!([]),
        Access::Session => json!([{ "access": [] }]),
    };
    let failure = json!({ "$ref": "#/components/schemas/ErrorBody" });
    json!({
        "post": {
            "operationId": method.as_str(),
            "summary": summary,
            "security": security,
            "parameters": [{
                "name": WRITE_COUNTER,
                "in": "header",
                "description": "How often the client's local store has been written.",
                "schema": { "type": "integer", "minimum": 0 },
            }],
            "requestBody": { "content": both(&request) },
            "responses": {
                "200": { "description": "Done.", "content": both(&response) },
                "default": { "description": "Not done.", "content": both(&failure) },
            },
        }
    })
}
