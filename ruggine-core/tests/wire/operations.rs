//! Every operation of the table.

use ruggine_core::api::{
    Method, Operation, account, conversation, identity, key_package, member, message, position,
    presence, session, sync,
};
use ruggine_core::for_each_operation;

use super::examples::Examples;
use super::snapshot::{both, check, stored};

fn operation<O: Operation + Examples>() -> String
where
    O::Response: Examples,
{
    let method = O::METHOD;
    let mut out = format!("# {method} {:?} {:?}\n\n", method.access(), method.effect());
    let mut sections = String::new();
    for (label, request) in O::examples() {
        both(&mut sections, &format!("request, {label}"), &request);
    }
    for (label, response) in O::Response::examples() {
        both(&mut sections, &format!("response, {label}"), &response);
    }
    out.push_str(&sections);
    out
}

macro_rules! document_operations {
    ($( $(#[$meta:meta])* $variant:ident $name:literal $request:path => $response:path, $access:ident, $effect:ident; )+) => {
        fn operations() -> Vec<(Method, String)> {
            vec![$( (Method::$variant, operation::<$request>()) ),+]
        }
    };
}

for_each_operation!(document_operations);

fn operation_file(method: Method) -> String {
    format!("operation_{}", method.as_str().replace('.', "_"))
}

#[test]
fn every_operation_travels_as_recorded() {
    for (method, text) in operations() {
        check(&operation_file(method), &text);
    }
}

#[test]
fn every_operation_of_the_table_has_a_snapshot_and_no_other_has_one() {
    let covered: Vec<_> = operations().iter().map(|(method, _)| *method).collect();
    assert_eq!(covered, Method::ALL);
    let files = Method::ALL.iter().map(|m| operation_file(*m)).collect();
    assert_eq!(stored("operation_"), files);
}
