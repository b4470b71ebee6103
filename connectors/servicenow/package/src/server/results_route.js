(function process(request, response) {
    var answer = new HitlResults().put(String(request.pathParams.key), request.body ? request.body.data : null);
    if (answer.result) {
        response.setStatus(answer.status);
        response.setBody(answer.result);
        return;
    }
    var error = new sn_ws_err.ServiceError();
    error.setStatus(answer.status);
    error.setMessage(answer.message);
    error.setDetail(answer.detail);
    response.setError(error);
})(request, response);
