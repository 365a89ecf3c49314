//! Every operation is described and served.

use ruggine_core::api::{Access, Method};
use ruggine_core::codec::Encoding;
use ruggine_core::{ErrorCode, Event};
use ruggine_server::http::openapi_document;
use ruggine_server::testing::TestServer;
use serde_json::Value;

#[tokio::test]
async fn the_api_describes_every_operation_and_every_reference_leads_somewhere() {
    let server = TestServer::start().await;
    let answer = server.http().get("/v1/openapi.json").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let document: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(document, openapi_document());
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), Method::ALL.len());
    for method in Method::ALL {
        let operation = &paths[&format!("/v1/{method}")]["post"];
        assert_eq!(operation["operationId"], method.as_str());
        assert!(!operation["summary"].as_str().unwrap().is_empty());
    }
    for code in ErrorCode::ALL {
        assert_eq!(document["x-error-codes"][code.as_str()], code.number());
    }
    for event in Event::NAMES {
        assert!(!document["x-events"][event].is_null(), "{event}");
    }
    let mut references = Vec::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 2 * Method::ALL.len());
    for reference in references {
        let pointer = reference
            .strip_prefix('#')
            .expect("it leads into the document");
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect_references(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(reference) if name == "$ref" => {
                        references.push(reference.clone())
                    }
                    _ => collect_references(field, references),
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                collect_references(item, references);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn every_operation_is_served_and_those_of_a_session_ask_for_one() {
    let server = TestServer::start().await;
    for method in Method::ALL {
        let answer = server.http().post(&format!("/v1/{method}"), b"{}").await;
        let error = answer.error(Encoding::Json);
        let expected = match method.access() {
            Access::Public => ErrorCode::InvalidParams,
            Access::Session => ErrorCode::Unauthenticated,
        };
        assert_eq!(error.code, expected, "{method}");
    }
}
