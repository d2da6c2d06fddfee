//! The REST interface that the CARTA frontend uses.

mod body;

use std::{collections::VecDeque, sync::Arc};

use axum::{
    Router,
    extract::{Path, Request, State},
    http::{StatusCode, Uri},
    response::Response,
    routing::{get, post, put},
};
use serde_json::{Map, Value, json};

use self::body::{name, object, object_body, strings};
use super::{
    Site,
    answer::{self, Failure},
};
use crate::{
    percent,
    store::{Collection, Name, Store, StoreError},
};

type Answer = Result<Response, Failure>;

const UNKNOWN: &str = "There is no such REST call.";

/// The version of the preferences schema that an empty store starts with.
const PREFERENCES_VERSION: u32 = 2;

/// The routes below `database`.
pub(super) fn database() -> Router<Arc<Site>> {
    Router::new()
        .route(
            "/preferences",
            get(preferences).put(put_preferences).delete(delete_preferences),
        )
        .route("/layouts", get(layouts))
        .route("/layout", put(put_layout).delete(delete_layout))
        .route("/snippets", get(snippets))
        .route("/snippet", put(put_snippet).delete(delete_snippet))
        .route("/list/workspaces", get(workspaces))
        .route("/workspace", put(put_workspace).delete(delete_workspace))
        .route("/workspace/key/{key}", get(shared_workspace))
        .route("/workspace/{*name}", get(workspace))
        .route("/share/workspace/{id}", post(share_workspace))
}

/// A REST path that is not there.
pub(super) async fn unknown() -> Response {
    answer::failure(StatusCode::NOT_FOUND, UNKNOWN)
}

/// A method that a REST call does not know.
pub(super) async fn wrong_method() -> Response {
    answer::failure(
        StatusCode::METHOD_NOT_ALLOWED,
        "This REST call has no such method.",
    )
}

/// `POST server/stop`: a page must not end the work of all others.
pub(super) async fn stop() -> Response {
    let sentence =
        "This server is not stopped from the page; end the process, or press Ctrl-C where it was started.";
    answer::failure(StatusCode::FORBIDDEN, sentence)
}

/// `POST scripting/action`.
pub(super) async fn scripting(State(site): State<Arc<Site>>) -> Response {
    if !site.scripting {
        return answer::failure(
            StatusCode::FORBIDDEN,
            "Scripting is off; start the server with --enable-scripting.",
        );
    }
    answer::failure(
        StatusCode::NOT_IMPLEMENTED,
        "Scripting over HTTP is not part of this version.",
    )
}

async fn preferences(State(site): State<Arc<Site>>) -> Answer {
    let mut preferences = on_store(&site, Store::preferences).await?;
    preferences
        .entry("version")
        .or_insert_with(|| PREFERENCES_VERSION.into());
    Ok(answer::object(
        &json!({ "success": true, "preferences": preferences }),
    ))
}

async fn put_preferences(State(site): State<Arc<Site>>, request: Request) -> Answer {
    let entries = object_body(&site, request).await?;
    on_store(&site, move |store| store.merge_preferences(entries)).await?;
    Ok(answer::success())
}

async fn delete_preferences(State(site): State<Arc<Site>>, request: Request) -> Answer {
    let keys = strings(&object_body(&site, request).await?, "keys")?;
    on_store(&site, move |store| store.remove_preferences(&keys)).await?;
    Ok(answer::success())
}

async fn layouts(State(site): State<Arc<Site>>) -> Answer {
    all(&site, Collection::Layouts, "layouts").await
}

async fn put_layout(State(site): State<Arc<Site>>, request: Request) -> Answer {
    put_named(&site, request, Collection::Layouts, "layoutName", "layout").await?;
    Ok(answer::success())
}

async fn delete_layout(State(site): State<Arc<Site>>, request: Request) -> Answer {
    delete_named(&site, request, Collection::Layouts, "layoutName").await
}

async fn snippets(State(site): State<Arc<Site>>) -> Answer {
    all(&site, Collection::Snippets, "snippets").await
}

async fn put_snippet(State(site): State<Arc<Site>>, request: Request) -> Answer {
    put_named(&site, request, Collection::Snippets, "snippetName", "snippet").await?;
    Ok(answer::success())
}

async fn delete_snippet(State(site): State<Arc<Site>>, request: Request) -> Answer {
    delete_named(&site, request, Collection::Snippets, "snippetName").await
}

async fn workspaces(State(site): State<Arc<Site>>) -> Answer {
    let entries = on_store(&site, |store| store.list(Collection::Workspaces)).await?;
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| json!({ "id": entry.name.id(), "name": entry.name.as_str(), "date": entry.date }))
        .collect();
    Ok(answer::object(&json!({ "success": true, "workspaces": entries })))
}

async fn workspace(State(site): State<Arc<Site>>, uri: Uri) -> Answer {
    let path = uri.path().rsplit_once("/workspace/").map_or("", |(_, name)| name);
    let mut names = possible_names(path, uri.query());
    let found = on_store(&site, move |store| {
        while let Some(name) = names.pop_front() {
            match store.get(Collection::Workspaces, &name) {
                Err(StoreError::NotFound { .. }) if !names.is_empty() => {}
                result => return result.map(|workspace| (name, workspace)),
            }
        }
        Err(StoreError::Name(
            "The name of a workspace is missing or too long.".to_owned(),
        ))
    });
    let (name, workspace) = found.await?;
    Ok(workspace_answer(&site, &name, workspace))
}

async fn shared_workspace(State(site): State<Arc<Site>>, Path(key): Path<String>) -> Answer {
    let found = on_store(&site, move |store| {
        let name = store.shared_workspace(&key)?;
        store
            .get(Collection::Workspaces, &name)
            .map(|workspace| (name, workspace))
    });
    let (name, workspace) = found.await?;
    Ok(workspace_answer(&site, &name, workspace))
}

async fn put_workspace(State(site): State<Arc<Site>>, request: Request) -> Answer {
    let name = put_named(
        &site,
        request,
        Collection::Workspaces,
        "workspaceName",
        "workspace",
    )
    .await?;
    let workspace = json!({ "id": name.id(), "name": name.as_str(), "editable": true });
    Ok(answer::object(
        &json!({ "success": true, "workspace": workspace }),
    ))
}

async fn delete_workspace(State(site): State<Arc<Site>>, request: Request) -> Answer {
    delete_named(&site, request, Collection::Workspaces, "workspaceName").await
}

async fn share_workspace(State(site): State<Arc<Site>>, Path(id): Path<String>) -> Answer {
    let Some(name) = Name::from_id(&id) else {
        return Err(Failure::new(
            StatusCode::NOT_FOUND,
            "There is no workspace with this id.",
        ));
    };
    let key = on_store(&site, move |store| store.share_workspace(&name)).await?;
    Ok(answer::object(&json!({ "success": true, "shareKey": key })))
}

/// A stored workspace with what the server knows of it.
fn workspace_answer(site: &Site, name: &Name, mut workspace: Value) -> Response {
    if let Some(workspace) = workspace.as_object_mut() {
        workspace.insert("id".to_owned(), name.id().into());
        workspace.insert("name".to_owned(), name.as_str().into());
        workspace.insert("editable".to_owned(), (!site.read_only).into());
    }
    answer::object(&json!({ "success": true, "workspace": workspace }))
}

async fn all(site: &Site, collection: Collection, field: &str) -> Answer {
    let objects = on_store(site, move |store| store.all(collection)).await?;
    let answer = Map::from_iter([
        ("success".to_owned(), true.into()),
        (field.to_owned(), objects.into()),
    ]);
    Ok(answer::object(&answer.into()))
}

async fn put_named(
    site: &Site,
    request: Request,
    collection: Collection,
    name_field: &str,
    value_field: &str,
) -> Result<Name, Failure> {
    let mut body = object_body(site, request).await?;
    let name = name(&body, name_field)?;
    let value = object(&mut body, value_field)?;
    let stored = name.clone();
    on_store(site, move |store| store.put(collection, &stored, &value)).await?;
    Ok(name)
}

async fn delete_named(site: &Site, request: Request, collection: Collection, name_field: &str) -> Answer {
    let name = name(&object_body(site, request).await?, name_field)?;
    on_store(site, move |store| store.remove(collection, &name)).await?;
    Ok(answer::success())
}

/// Runs `work` on a blocking thread.
async fn on_store<T: Send + 'static>(
    site: &Site,
    work: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Failure> {
    let Some(store) = site.store.clone() else {
        return Err(Failure::new(StatusCode::NOT_FOUND, UNKNOWN));
    };
    match tokio::task::spawn_blocking(move || work(&store)).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(failure(&error)),
        Err(error) => {
            tracing::error!(%error, "a store failed");
            Err(Failure::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "The store failed; see the server's log.",
            ))
        }
    }
}

fn failure(error: &StoreError) -> Failure {
    let status = match error {
        StoreError::NotFound { .. } => StatusCode::NOT_FOUND,
        StoreError::Name(_) => StatusCode::BAD_REQUEST,
        StoreError::ReadOnly(_) => StatusCode::FORBIDDEN,
        StoreError::Damaged { .. } | StoreError::Io { .. } | StoreError::Random(_) => {
            tracing::error!("{error}");
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    Failure::new(status, error.to_string())
}

/// The names that a path may mean, likeliest first.
///
/// The client puts names into the path as they are and leaves the escaping to the browser, which does not escape `%`
/// and takes everything behind a `?` for the query.
fn possible_names(path: &str, query: Option<&str>) -> VecDeque<Name> {
    let decoded = percent::decode(path);
    let mut texts = Vec::new();
    if let Some(query) = query {
        texts.push(format!("{decoded}?{}", percent::decode(query)));
    }
    texts.push(decoded);
    texts.push(path.to_owned());
    texts.dedup();
    texts.iter().filter_map(|text| Name::new(text).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str, query: Option<&str>) -> Vec<String> {
        possible_names(path, query)
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect()
    }

    #[test]
    fn names_in_paths_are_found_however_the_browser_mangled_them() {
        assert_eq!(names("my%20space", None), ["my space", "my%20space"]);
        assert_eq!(names("50%", None), ["50%"]);
        assert_eq!(names("a/b", None), ["a/b"]);
        assert_eq!(names("why", Some("")), ["why?", "why"]);
        assert_eq!(names("%C3%A4", None), ["ä", "%C3%A4"]);
        assert_eq!(names("%ff", None), ["%ff"]);
        assert_eq!(names("", None), Vec::<String>::new());
    }
}
