//! The description of the API (OpenAPI 3.1), made from the table of routes: what is not served is not described.

mod members;

use serde_json::{Map, Value, json};

use super::api::{Access, Route, Service, route};

/// Name of the security scheme.
const TOKEN: &str = "token";

/// Describes one service as it is found under a prefix, or all of them under their first ones.
pub fn describe(of: Option<(Service, &'static str)>) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    let routes = route::all().filter(|route| route.access != Access::Local);
    let routes = routes.filter(|route| of.is_none_or(|(service, _)| route.service == service));
    for route in routes {
        let prefix = if of.is_some() { "" } else { route.service.prefixes()[0] };
        let path = match format!("{prefix}{}", route.path) {
            path if path.is_empty() => "/".to_owned(),
            path => path,
        };
        let item = paths.entry(path.clone()).or_insert_with(|| item(&path));
        item[route.method.as_str().to_ascii_lowercase()] = operation(route, &path);
    }
    let title = match of {
        Some((service, _)) => format!("bootlace: {}", service.title()),
        None => "bootlace".to_owned(),
    };
    json!({
        "openapi": "3.1.0",
        "info": {"title": title, "version": env!("CARGO_PKG_VERSION")},
        "servers": [{"url": of.map_or("/", |(_, prefix)| prefix)}],
        "paths": paths,
        "components": {"securitySchemes": {TOKEN: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "Needed where the API is not served on loopback; made by `bootlace token new`.",
        }}},
    })
}

/// Names of the variables of a path, in order.
pub fn variables(path: &str) -> impl Iterator<Item = &str> {
    let parts = path.split('{').skip(1);
    parts.filter_map(|part| Some(part.split_once('}')?.0.trim_start_matches('*')))
}

/// What all methods of a path share.
fn item(path: &str) -> Value {
    let parameters: Vec<Value> = variables(path)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    if parameters.is_empty() { json!({}) } else { json!({"parameters": parameters}) }
}

fn operation(route: &Route, path: &str) -> Value {
    let name: String = path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let security = match route.access {
        Access::Admin | Access::Local => json!([{TOKEN: []}]),
        Access::Inventory => json!([{TOKEN: []}, {}]),
        Access::Open | Access::Public | Access::Node => json!([]),
    };
    let mut operation = json!({
        "operationId": format!("{}{name}", route.method.as_str().to_ascii_lowercase()),
        "tags": [route.service.title()],
        "summary": route.summary,
        "security": security,
        "responses": {
            "2XX": {"description": "done"},
            "4XX": {"description": "refused: what was asked is wrong, not there, or not allowed"},
            "503": {"description": "cannot be done now: try again"},
        },
    });
    let queries: Vec<Value> = members::queries(route)
        .iter()
        .map(|name| {
            // Said twice it means either of the two.
            let schema = json!({"type": "array", "items": {"type": "string"}});
            json!({"name": name, "in": "query", "schema": schema, "explode": true})
        })
        .collect();
    if !queries.is_empty() {
        operation["parameters"] = queries.into();
    }
    if matches!(route.method.as_str(), "POST" | "PUT" | "PATCH") {
        // Members are read without regard to case, unknown ones are passed over, null is absent: so no type is
        // promised beyond the names.
        let properties: Map<String, Value> =
            members::of_body(route).iter().map(|name| ((*name).to_owned(), json!({}))).collect();
        let schema = json!({"type": ["object", "array", "null"], "properties": properties});
        operation["requestBody"] = json!({"content": {"application/json": {"schema": schema}}});
    }
    operation
}

#[cfg(test)]
mod tests;
